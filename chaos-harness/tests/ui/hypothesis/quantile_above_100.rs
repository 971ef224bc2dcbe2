fn main() {
    chaos_harness::hypothesis!(p101 < 250ms);
}
