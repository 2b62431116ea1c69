//! Everything in this crate that Xen's headers also say, compared with what a C compiler makes of
//! them: sizes, offsets, constants, and whole entries byte by byte.

#![forbid(unsafe_code)]

mod c;
mod constants;
mod entries;
mod structs;

/// A C expression and what this crate has for it.
type Pair = (String, i128);

#[test]
fn sizes_and_offsets_are_those_of_the_headers() {
    compare(&structs::pairs());
}

#[test]
fn constants_are_those_of_the_headers() {
    compare(&constants::pairs());
}

#[test]
fn encoded_entries_are_those_of_a_c_compiler() {
    for (name, statements, encoded) in entries::entries() {
        let printed = c::run(&format!("{statements} dump(&it, sizeof it);"));
        let printed: Vec<u8> = printed
            .split_whitespace()
            .map(|byte| byte.parse().unwrap())
            .collect();
        let (shared, rest) = encoded.split_at(printed.len());
        assert_eq!(shared, printed, "{name}");
        assert!(
            rest.iter().all(|byte| *byte == 0),
            "{name} has bytes behind the C struct's end"
        );
    }
}

#[test]
fn a_wrong_value_is_noticed() {
    let wrong = [("sizeof(struct start_info)".to_owned(), 1167)];
    assert_eq!(
        differences(&wrong),
        ["sizeof(struct start_info) is 1168, not 1167"]
    );
}

fn compare(pairs: &[Pair]) {
    assert_eq!(differences(pairs), Vec::<String>::new());
}

fn differences(pairs: &[Pair]) -> Vec<String> {
    let statements: String = pairs
        .iter()
        .map(|(expression, _)| format!("number({expression});\n"))
        .collect();
    let printed = c::run(&statements);
    let values: Vec<i128> = printed
        .split_whitespace()
        .map(|value| value.parse().expect("it prints numbers"))
        .collect();
    assert_eq!(
        values.len(),
        pairs.len(),
        "the C program printed one number for each expression"
    );
    pairs
        .iter()
        .zip(values)
        .filter(|((_, ours), theirs)| ours != theirs)
        .map(|((expression, ours), theirs)| format!("{expression} is {theirs}, not {ours}"))
        .collect()
}
