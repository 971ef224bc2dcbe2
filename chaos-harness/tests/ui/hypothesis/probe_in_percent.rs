fn main() {
    chaos_harness::hypothesis!(peak("queue") < 50%);
}
