//! The frames, with honest and with hostile bytes. Not in `protocol.rs`, which the agent
//! includes: there its unused half is expected to be unused.

use super::protocol::{Corrupt, Decoder, Event, PAYLOAD_MAX, Request};

fn events() -> Vec<Event> {
    vec![
        Event::Hello { release: "7.3".into(), tools: "a\tb\nc\td".into() },
        Event::Kernel(b"6,1,2,-;x\n".to_vec()),
        Event::Lost,
        Event::Guarded,
        Event::Settled,
        Event::Reseeded,
        Event::Started,
        Event::Output { error: true, bytes: vec![0, 255, b'\n'] },
        Event::Output { error: false, bytes: Vec::new() },
        Event::Alive,
        Event::Ended { status: 137, open: true },
        Event::Failed("why".into()),
        Event::Goodbye { commands: 3, kernel: u32::MAX, powers_off: true },
    ]
}

fn decode(bytes: &[u8], piece: usize) -> Result<Vec<Event>, Corrupt> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for bytes in bytes.chunks(piece) {
        decoder.push(bytes);
        while let Some(frame) = decoder.frame()? {
            events.push(Event::decode(frame)?);
        }
    }
    Ok(events)
}

#[test]
fn events_arrive_whatever_the_pieces() {
    let bytes: Vec<u8> = events().iter().flat_map(|event| event.encode().unwrap()).collect();
    for piece in [1, 2, 3, 7, bytes.len()] {
        assert_eq!(decode(&bytes, piece).unwrap(), events());
    }
}

#[test]
fn requests_arrive() {
    let requests = [
        Request::Run { split_stderr: true, line: "echo é".into() },
        Request::Shell { rows: 50, columns: 200 },
        Request::Tool(vec!["rmmod".into(), "q;echo X;true $a\n\"".into(), String::new()]),
        Request::Read("/proc/modules".into()),
        Request::Guard,
        Request::Settle,
        Request::Reseed { seed: vec![0, 255] },
        Request::Clock { seconds: u64::MAX, nanos: 999_999_999 },
        Request::Create { path: "/work/é".into(), executable: true },
        Request::Data(vec![0; PAYLOAD_MAX]),
        Request::End,
    ];
    let mut decoder = Decoder::default();
    for request in requests {
        decoder.push(&request.encode().unwrap());
        let frame = decoder.frame().unwrap().unwrap();
        assert_eq!(Request::decode(&frame), Ok(request));
    }
    assert_eq!(decoder.waiting(), 0);
}

#[test]
fn a_frame_that_was_cut_waits_and_is_never_half_read() {
    let bytes = Event::Goodbye { commands: 1, kernel: 2, powers_off: false }.encode().unwrap();
    for cut in 0..bytes.len() {
        let mut decoder = Decoder::default();
        decoder.push(&bytes[..cut]);
        assert_eq!(decoder.frame(), Ok(None));
        assert_eq!(decoder.waiting(), cut);
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_it_is_stored() {
    let mut decoder = Decoder::default();
    decoder.push(b"O\xff\xff\xff\xff");
    assert!(decoder.frame().unwrap_err().0.contains("4294967295"));
    assert!(Request::Run { split_stderr: false, line: "x".repeat(PAYLOAD_MAX) }.encode().is_err());
}

#[test]
fn hostile_frames_are_refused() {
    let frames: [&[u8]; 9] = [
        b"?\0\0\0\0",
        b"X\x01\0\0\0\0",
        b"X\x02\0\0\0\0\x02",
        b"G\x07\0\0\0abcdefg",
        b"O\0\0\0\0",
        b"O\x01\0\0\0\x07",
        b"L\x01\0\0\0x",
        b"H\x01\0\0\0x",
        b"F\x01\0\0\0\xff",
    ];
    for frame in frames {
        assert!(decode(frame, frame.len()).is_err(), "{frame:?}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    // A small generator of its own, so that a failure repeats.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let honest: Vec<u8> = events().iter().flat_map(|event| event.encode().unwrap()).collect();
    for _ in 0..2000 {
        let mut bytes = honest.clone();
        for _ in 0..3 {
            let at = usize::from(next()) % bytes.len();
            bytes[at] = next();
        }
        let _ = decode(&bytes, 11);
    }
}
