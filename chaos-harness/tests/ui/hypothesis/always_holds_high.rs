fn main() {
    chaos_harness::hypothesis!(error_rate <= 100%);
}
