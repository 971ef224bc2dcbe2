fn main() {
    chaos_harness::hypothesis!(recovery < 30);
}
