fn main() {
    chaos_harness::hypothesis!(availability > 99.99999%);
}
