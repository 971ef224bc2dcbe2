fn main() {
    chaos_harness::hypothesis!(p99(/catalog) < 250ms);
}
