fn main() {
    chaos_harness::hypothesis!(mttr < 30s 2min);
}
