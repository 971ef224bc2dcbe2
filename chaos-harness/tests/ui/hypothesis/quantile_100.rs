fn main() {
    chaos_harness::hypothesis!(p100 < 250ms);
}
