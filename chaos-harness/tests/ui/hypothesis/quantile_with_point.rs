fn main() {
    chaos_harness::hypothesis!(p99.9 < 250ms);
}
