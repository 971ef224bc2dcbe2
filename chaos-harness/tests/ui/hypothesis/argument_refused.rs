fn main() {
    chaos_harness::hypothesis!(mttr("/orders") < 2min);
}
