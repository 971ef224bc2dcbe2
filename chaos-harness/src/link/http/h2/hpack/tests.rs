//! Header compression beside another implementation, and through a receiver that has not seen every block.

use loona_hpack::{Decoder, Encoder};
use proptest::prelude::*;

use super::*;

type Pair = (Vec<u8>, Vec<u8>);

fn pairs(fields: &[Field]) -> Vec<Pair> {
    Headers::of(fields, |_| true).unwrap().iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn text(pairs: &[(&str, &str)]) -> Vec<Pair> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 16).unwrap()).collect()
}

/// The entries of the sender's table with its size.
fn table(hpack: &Hpack) -> (Vec<Pair>, usize) {
    let entries: Vec<&Entry> = (0..hpack.sender.len()).filter_map(|place| hpack.sender.get(place)).collect();
    let read = |text: &Text| {
        let mut out = Vec::new();
        text.read(&mut out).unwrap();
        out
    };
    let size = entries.iter().map(|entry| entry.size).sum();
    (entries.iter().map(|entry| (read(&entry.name), read(&entry.value))).collect(), size)
}

/// RFC 7541, C.3 and C.4: three requests on one connection, without and with the Huffman code.
#[test]
fn the_requests_of_the_standard() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    let (get, http, host) = ((":method", "GET"), (":scheme", "http"), (":authority", "www.example.com"));
    let last = [get, (":scheme", "https"), (":path", "/index.html"), host, ("custom-key", "custom-value")];
    let expected = [
        text(&[get, http, (":path", "/"), host]),
        text(&[get, http, (":path", "/"), host, ("cache-control", "no-cache")]),
        text(&last),
    ];
    for blocks in [plain, coded] {
        let mut hpack = Hpack::new();
        for (block, expected) in blocks.iter().zip(&expected) {
            let fields = hpack.read(&bytes(block)).unwrap();
            assert_eq!(&pairs(&fields), expected);
            hpack.passed(fields);
        }
        let entries = text(&[("custom-key", "custom-value"), ("cache-control", "no-cache"), host]);
        assert_eq!(table(&hpack), (entries, 164));
    }
}

/// RFC 7541, C.5 and C.6: three responses through a table of 256 bytes, which drops entries.
#[test]
fn the_responses_of_the_standard() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
         2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
         8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    let cookie = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
    let date = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
    for blocks in [plain, coded] {
        let mut hpack = Hpack::new();
        hpack.sender.resize(256);
        let [.., last] = blocks.map(|block| pairs(&hpack.read(&bytes(block)).unwrap()));
        let location = ("location", "https://www.example.com");
        let private = ("cache-control", "private");
        let gzip = ("content-encoding", "gzip");
        assert_eq!(last, text(&[(":status", "200"), private, date, location, gzip, cookie]));
        assert_eq!(table(&hpack), (text(&[cookie, gzip, date]), 215));
    }
}

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    Keep,
    Edit,
    Delay,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Fate::Pass), 1 => Just(Fate::Keep), 1 => Just(Fate::Edit), 1 => Just(Fate::Delay)]
}

/// Few names and values, so that the table is used; some that are long, so that it overflows.
fn block() -> impl Strategy<Value = Vec<Pair>> {
    let name = prop::sample::select(vec![":path", "x-one", "x-two", "x-three", "cookie", "accept"]);
    let value = (prop::sample::select(vec!["", "a", "/", "gzip, deflate", "long"]), 0..4_usize);
    let value = value.prop_map(|(value, n)| value.repeat(if value == "long" { n * 300 } else { n }));
    let field = (name, value).prop_map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()));
    prop::collection::vec(field, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A receiver that gets what the link makes of the blocks reads in each what the sender meant, whatever was kept
    /// from it, changed or delayed before.
    #[test]
    fn the_receiver_reads_what_was_meant(blocks in prop::collection::vec((block(), fate()), 0..40)) {
        let (mut sender, mut hpack, mut receiver) = (Encoder::new(), Hpack::new(), Decoder::new());
        let mut late = Vec::new();
        let edits = [Edit::Set("x-one".to_owned(), "set".to_owned()), Edit::Drop("cookie".to_owned())];
        for (meant, fate) in blocks {
            let block = Bytes::from(sender.encode(meant.iter().map(|(name, value)| (&name[..], &value[..]))));
            let fields = hpack.read(&block).unwrap();
            prop_assert_eq!(pairs(&fields), meant.clone());
            let (sent, meant) = match fate {
                Fate::Keep => {
                    hpack.kept(&fields);
                    continue;
                }
                Fate::Delay => {
                    late.push((hpack.write_apart(&fields, &[]), meant));
                    continue;
                }
                Fate::Edit => {
                    let stays = |(name, _): &Pair| name != b"x-one" && name != b"cookie";
                    let mut meant: Vec<Pair> = meant.into_iter().filter(stays).collect();
                    meant.extend(text(&[("x-one", "set")]));
                    (hpack.write(&fields, &edits), meant)
                }
                Fate::Pass if hpack.may_pass() => {
                    hpack.passed(fields);
                    (block, meant)
                }
                Fate::Pass => (hpack.write(&fields, &[]), meant),
            };
            prop_assert_eq!(receiver.decode(&sent).unwrap(), meant);
            if let Some((sent, meant)) = late.pop().filter(|_| late.len() > 2) {
                prop_assert_eq!(receiver.decode(&sent).unwrap(), meant);
            }
        }
    }

    #[test]
    fn nothing_upsets_it(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..10)) {
        let (mut hpack, mut theirs) = (Hpack::new(), Decoder::new());
        for block in blocks {
            let ours = hpack.read(&Bytes::from(block.clone())).and_then(|fields| Headers::of(&fields, |_| true).map(|_| fields));
            let Ok(fields) = ours else { break };
            // What is read is read alike, unless the other one is stricter.
            let Ok(meant) = theirs.decode(&block) else { break };
            prop_assert_eq!(pairs(&fields), meant);
            hpack.passed(fields);
        }
    }
}

#[test]
fn blocks_pass_again_once_the_tables_are_the_same() {
    let mut hpack = Hpack::new();
    let send = |hpack: &mut Hpack, n: usize| {
        let mut block = BytesMut::from(&[0x40][..]);
        string(&mut block, b"x-new");
        string(&mut block, format!("{n:0500}").as_bytes());
        let fields = hpack.read(&block.freeze()).unwrap();
        (hpack.may_pass(), fields)
    };
    let (may_pass, fields) = send(&mut hpack, 0);
    assert!(may_pass);
    hpack.kept(&fields);
    let mut rewritten = 0;
    for n in 1..100 {
        let (may_pass, fields) = send(&mut hpack, n);
        match may_pass {
            true => hpack.passed(fields),
            false => {
                rewritten += 1;
                hpack.write(&fields, &[]);
            }
        }
    }
    assert!((1..12).contains(&rewritten), "until nothing is left of what the receiver lacks: {rewritten}");
}

#[test]
fn what_the_sender_encoded_is_not_encoded_again() {
    let mut hpack = Hpack::new();
    // A block that the receiver does not get: `custom-key: custom-value`, by the Huffman code, into the table.
    let block = bytes("4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
    let fields = hpack.read(&block).unwrap();
    hpack.kept(&fields);
    let fields = hpack.read(&bytes("be")).unwrap();
    assert_eq!(hpack.write(&fields, &[]), block, "it is sent once more");
    let fields = hpack.read(&bytes("be")).unwrap();
    assert_eq!(hpack.write(&fields, &[]), bytes("be"), "then the receiver knows it");
}

#[test]
fn changes_of_the_table_reach_the_receiver() {
    let mut hpack = Hpack::new();
    // The table shrinks to nothing, then grows to 100 bytes; `:method: GET`.
    let fields = hpack.read(&bytes("20 3f45 82")).unwrap();
    hpack.kept(&fields);
    let fields = hpack.read(&bytes("82")).unwrap();
    assert!(!hpack.may_pass());
    assert_eq!(hpack.write(&fields, &[]), bytes("20 3f45 82"));
    // The receiver limits the table; the sender has heard of it. The link speaks first.
    hpack.limit(50);
    hpack.acknowledged();
    assert_eq!(hpack.write_own([(&b"a"[..], &b"b"[..])].into_iter()), bytes("3f13 00 0161 0162"));
}

#[test]
fn a_host_that_is_set_is_the_authority() {
    let mut hpack = Hpack::new();
    let fields = hpack.read(&bytes("82 8684 4101 61 4003 782d 6101 62")).unwrap();
    let set = [Edit::Set("host".to_owned(), "c".to_owned())];
    let written = hpack.write(&fields, &set);
    let read = Hpack::new().read(&written).map(|fields| pairs(&fields)).unwrap();
    let expected = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "c"), ("x-a", "b")];
    assert_eq!(read, text(&expected));
}

#[test]
fn a_small_block_cannot_become_a_large_list() {
    let mut block = vec![0x40, 1, b'a'];
    let mut value = BytesMut::new();
    string(&mut value, &[b'v'; 3000]);
    block.extend_from_slice(&value);
    block.extend([0xbe; 10_000]);
    assert_eq!(Hpack::new().read(&block.into()).unwrap_err(), Unread::TooLarge);
}

#[test]
fn nonsense_is_malformed() {
    for block in ["80", "be", "ff", "ff ffff ffff ffff", "40", "40 05 61", "82 20", "40 8101 00"] {
        let read = Hpack::new().read(&bytes(block)).and_then(|fields| Headers::of(&fields, |_| true).map(|_| ()));
        assert_eq!(read, Err(Unread::Malformed), "{block}");
    }
}
