fn main() {
    chaos_harness::hypothesis!(peak < 3);
}
