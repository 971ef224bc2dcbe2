fn main() {
    chaos_harness::hypothesis!(availability("") > 95%);
}
