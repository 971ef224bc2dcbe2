fn main() {
    chaos_harness::hypothesis!(mttr < 95%);
}
