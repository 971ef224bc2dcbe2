fn main() {
    chaos_harness::hypothesis!(availability > 95% && mttr < 2min);
}
