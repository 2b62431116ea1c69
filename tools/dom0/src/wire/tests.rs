use super::{Command, Ending, Frame, Kind, MAX_BODY, Put};
use std::io::ErrorKind;
use std::time::Duration;

#[test]
fn frames_of_every_kind_come_back_in_order() {
    let frames: Vec<Frame> = Kind::ALL
        .iter()
        .zip(7..)
        .map(|(kind, id)| Frame::new(id, *kind, vec![0xa5; id as usize]))
        .collect();
    let mut bytes = Vec::new();
    for frame in &frames {
        frame.write_to(&mut bytes).unwrap();
    }
    let mut from = &bytes[..];
    for frame in &frames {
        assert_eq!(&Frame::read_from(&mut from).unwrap(), frame);
    }
    assert_eq!(
        Frame::read_from(&mut from).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}

#[test]
fn a_body_may_have_the_maximum_and_no_more() {
    let mut bytes = Vec::new();
    Frame::new(1, Kind::Data, vec![1; MAX_BODY])
        .write_to(&mut bytes)
        .unwrap();
    assert_eq!(
        Frame::read_from(&mut &bytes[..]).unwrap().body.len(),
        MAX_BODY
    );
    let long = Frame::new(1, Kind::Data, vec![1; MAX_BODY + 1]);
    assert_eq!(
        long.write_to(&mut Vec::new()).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn lengths_and_kinds_that_do_not_exist_are_refused() {
    for length in [0_u32, 4, 5 + MAX_BODY as u32 + 1, u32::MAX] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[0; 64]);
        let error = Frame::read_from(&mut &bytes[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "length {length}");
    }
    let mut bytes = Vec::new();
    Frame::new(1, Kind::Done, []).write_to(&mut bytes).unwrap();
    *bytes.last_mut().unwrap() = Kind::ALL.len() as u8;
    let error = Frame::read_from(&mut &bytes[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_cut_frame_is_an_end_of_file() {
    let mut bytes = Vec::new();
    Frame::new(3, Kind::Stdout, *b"hello")
        .write_to(&mut bytes)
        .unwrap();
    for end in 0..bytes.len() {
        let error = Frame::read_from(&mut &bytes[..end]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "cut at {end}");
    }
}

#[test]
fn bodies_come_back() {
    let command = Command {
        limit: Duration::from_millis(1234),
        input: true,
        line: "xl list".into(),
    };
    assert_eq!(Command::decode(&command.encode()), Some(command));
    let put = Put {
        mode: 0o755,
        path: "/root/x".into(),
    };
    assert_eq!(Put::decode(&put.encode()), Some(put));
    for ending in [
        Ending::Exited(-1),
        Ending::Signalled(9),
        Ending::TimedOut,
        Ending::Killed,
    ] {
        assert_eq!(Ending::decode(&ending.encode()), Some(ending));
    }
}

#[test]
fn malformed_bodies_are_refused() {
    assert_eq!(Command::decode(&[1, 2, 3, 4]), None);
    assert_eq!(Command::decode(&[1, 0, 0, 0, 0, 0xff]), None, "not UTF-8");
    assert_eq!(Put::decode(&[0o7]), None);
    assert_eq!(Ending::decode(&[0, 1, 2, 3]), None);
    assert_eq!(Ending::decode(&[9, 0, 0, 0, 0]), None);
}
