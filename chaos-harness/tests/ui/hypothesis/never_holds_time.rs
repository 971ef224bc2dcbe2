fn main() {
    chaos_harness::hypothesis!(mttr < 0s);
}
