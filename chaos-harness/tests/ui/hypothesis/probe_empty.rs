fn main() {
    chaos_harness::hypothesis!(lowest("") > 3);
}
