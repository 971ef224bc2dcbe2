fn main() {
    chaos_harness::hypothesis!(mttr < 2min during recovery);
}
