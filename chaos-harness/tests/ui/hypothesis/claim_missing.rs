fn main() {
    chaos_harness::hypothesis!();
}
