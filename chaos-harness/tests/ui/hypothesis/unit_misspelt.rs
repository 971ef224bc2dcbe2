fn main() {
    chaos_harness::hypothesis!(mttr < 5mins);
}
