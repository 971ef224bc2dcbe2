fn main() {
    chaos_harness::hypothesis!(throughput > 100);
}
