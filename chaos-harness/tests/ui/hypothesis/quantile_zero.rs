fn main() {
    chaos_harness::hypothesis!(p0 < 250ms);
}
