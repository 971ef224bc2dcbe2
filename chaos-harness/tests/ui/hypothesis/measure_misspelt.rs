fn main() {
    chaos_harness::hypothesis!(availabilty > 95%);
}
