fn main() {
    chaos_harness::hypothesis!(availability > 0.95);
}
