//! HPACK (RFC 7541): a writer that may write what it likes, and a reader that lets nothing pass.

mod decode;
mod encode;

pub use decode::Decoder;
pub use encode::{Field, Indexing, Name, Text, block};

/// The static table (RFC 7541, appendix A); its first entry has the index 1.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
    (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
    (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
    ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""),
    ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
    ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""),
    ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
    ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""),
    ("via", ""), ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn fields(all: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        all.iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn the_requests_of_appendix_c() {
        let first = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ];
        let second = [&first[..], &[("cache-control", "no-cache")]].concat();
        let third = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ];
        // C.3 without Huffman's code, C.4 with it.
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
        for blocks in [plain, coded] {
            let mut decoder = Decoder::default();
            for (block, wanted) in blocks.iter().zip([&first[..], &second, &third]) {
                assert_eq!(decoder.decode(&hex(block)), Ok(fields(wanted)));
            }
            assert_eq!(decoder.size(), 164);
        }
    }

    #[test]
    fn the_responses_of_appendix_c_evict() {
        let mut decoder = Decoder::default();
        decoder.set_limit(256);
        // C.5: four entries fill 222 of 256 bytes; the second response evicts the first entry.
        let date = "Mon, 21 Oct 2013 20:13:21 GMT";
        let first = block(&[
            Field::Size(256),
            Field::literal(Indexing::Incremental, Name::Index(8), "302"),
            Field::literal(Indexing::Incremental, Name::Index(24), "private"),
            Field::literal(Indexing::Incremental, Name::Index(33), date),
            Field::literal(Indexing::Incremental, Name::Index(46), "https://www.example.com"),
        ]);
        assert_eq!(decoder.decode(&first).map(|fields| fields.len()), Ok(4));
        assert_eq!(decoder.size(), 222);
        let second = decoder.decode(&hex("4803 3330 37c1 c0bf")).unwrap();
        assert_eq!(second[0], fields(&[(":status", "307")])[0]);
        assert_eq!(second[3], fields(&[("location", "https://www.example.com")])[0]);
        assert_eq!(decoder.size(), 222);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let wrong: [(&str, &[Field]); 5] = [
            ("index 0", &[Field::Index(0)]),
            ("beyond both tables", &[Field::Index(62)]),
            ("a size above the limit", &[Field::Size(4097)]),
            ("a size behind a field", &[Field::Index(2), Field::Size(0)]),
            ("an endless number", &[Field::Raw(vec![0xff; 20])]),
        ];
        for (what, fields) in wrong {
            assert!(Decoder::default().decode(&block(fields)).is_err(), "{what}");
        }
        let mut decoder = Decoder::default();
        decoder.set_limit(100);
        assert!(
            decoder.decode(&block(&[Field::Index(2)])).is_err(),
            "the smaller size must be told"
        );
    }
}
