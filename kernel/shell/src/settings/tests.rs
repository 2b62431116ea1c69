use super::*;

fn oddities(line: &str) -> Vec<String> {
    Settings::parse(line)
        .1
        .iter()
        .map(Oddity::to_string)
        .collect()
}

#[test]
fn an_empty_line_gives_the_defaults() {
    assert_eq!(Settings::parse(""), (Settings::default(), vec![]));
}

#[test]
fn every_key_is_read() {
    let (settings, oddities) = Settings::parse(concat!(
        r#"run="geom tree; sum xbd0p1; poweroff" loglevel=debug watchdog=30 "#,
        r#"taste_timeout=2 app="xbd0 xbd1""#,
    ));
    assert_eq!(
        settings.run.as_deref(),
        Some("geom tree; sum xbd0p1; poweroff")
    );
    assert_eq!(settings.loglevel, Level::Debug);
    assert_eq!(settings.watchdog, Some(Duration::from_secs(30)));
    assert_eq!(settings.taste_timeout, Some(Duration::from_secs(2)));
    assert_eq!(settings.app, "xbd0 xbd1");
    assert_eq!(oddities, []);
}

#[test]
fn unknown_words_are_named_in_one_warning_without_control_characters() {
    let line = "root=/dev/xvda ro\x1b[2J LOGLEVEL=debug =x run loglevel=warn";
    assert_eq!(
        oddities(line),
        ["unknown: root=/dev/xvda ro\\u{1b}[2J LOGLEVEL=debug =x run"]
    );
    assert_eq!(Settings::parse(line).0.loglevel, Level::Warn);
}

#[test]
fn memory_disks_are_given_as_often_as_there_are_some() {
    let (settings, oddities) = Settings::parse("md=ram:128M watchdog=5 md=scratch.2:4k");
    assert_eq!(oddities, []);
    let disks = settings.mds.iter().map(|md| (&*md.label, md.size));
    assert_eq!(
        disks.collect::<Vec<_>>(),
        [("ram", 128 << 20), ("scratch.2", 4096)]
    );
}

#[test]
fn exports_are_declared_as_often_as_there_are_some() {
    let (settings, oddities) = Settings::parse("export=root:xbd0p1,ro export=data:md0");
    assert_eq!(oddities, []);
    let mut expected = Declarations::default();
    for text in ["root:xbd0p1,ro", "data:md0"] {
        expected.declare(text).unwrap();
    }
    assert_eq!(settings.exports, expected);
}

#[test]
fn bad_values_leave_the_key_alone_and_are_told() {
    for (line, expected) in [
        (
            "loglevel=loud",
            "loglevel=loud: takes error|warn|info|debug",
        ),
        ("loglevel=", "loglevel=: takes error|warn|info|debug"),
        ("watchdog=0", "watchdog=0: takes SECONDS"),
        ("watchdog=-1", "watchdog=-1: takes SECONDS"),
        ("watchdog=+1", "watchdog=+1: takes SECONDS"),
        ("taste_timeout=", "taste_timeout=: takes SECONDS"),
        ("watchdog=4294967296", "watchdog=4294967296: takes SECONDS"),
        ("watchdog=5s", "watchdog=5s: takes SECONDS"),
        ("md=128M", "md=128M: takes LABEL:SIZE"),
        ("md=ram:", "md=ram:: takes LABEL:SIZE"),
        ("md=ram:0", "md=ram:0: takes LABEL:SIZE"),
        ("md=ram:12Q", "md=ram:12Q: takes LABEL:SIZE"),
        ("md=:1M", "md=:1M: takes LABEL:SIZE"),
        ("md=r/m:1M", "md=r/m:1M: takes LABEL:SIZE"),
        ("md=ram:99999999T", "md=ram:99999999T: takes LABEL:SIZE"),
    ] {
        assert_eq!(oddities(line), [expected]);
        assert_eq!(Settings::parse(line).0, Settings::default(), "{line}");
    }
}

#[test]
fn an_export_that_is_none_lets_nothing_be_exported() {
    let line = "export=md0";
    assert_eq!(oddities(line), ["export=md0: takes NAME:PROVIDER[,ro]"]);
    assert!(Settings::parse(line).0.exports.are_there());
}

#[test]
fn the_last_of_repeated_keys_counts() {
    let (settings, _) = Settings::parse("watchdog=1 watchdog=2");
    assert_eq!(settings.watchdog, Some(Duration::from_secs(2)));
    assert_eq!(
        oddities("watchdog=1 watchdog=2"),
        ["watchdog= is given more than once, the last one counts"]
    );
}

#[test]
fn an_open_quote_runs_to_the_end() {
    let (settings, oddities) = Settings::parse("run='dmesg; loglevel=debug");
    assert_eq!(settings.run.as_deref(), Some("dmesg; loglevel=debug"));
    assert_eq!(oddities, [Oddity::OpenQuote('\'')]);
}

/// Oracle: reading never panics, is the same twice, and every word that is no key is in a warning.
#[test]
fn seeded_garbage_is_read_or_named() {
    const WORDS: &[&str] = &[
        "run=",
        "loglevel=",
        "watchdog=",
        "info",
        "'",
        "\"",
        " ",
        "\0",
        "\n",
        "=",
        ";",
        "9",
        "é",
        "\u{1b}",
    ];
    for seed in 0..5000 {
        let mut bytes = [0; 24];
        crate::pattern::write(seed, 0, &mut bytes);
        let pieces = bytes
            .iter()
            .map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let line: String = pieces.collect();
        let (settings, oddities) = Settings::parse(&line);
        assert_eq!(
            Settings::parse(&line),
            (settings, oddities.clone()),
            "{line:?}"
        );
        let unknown = words::words(&line).0.into_iter().filter(|word| {
            !["run=", "loglevel=", "watchdog="]
                .iter()
                .any(|key| word.starts_with(key))
        });
        let named = oddities.iter().find_map(|oddity| match oddity {
            Oddity::Unknown(words) => Some(words.clone()),
            _ => None,
        });
        assert_eq!(
            named.unwrap_or_default(),
            unknown.collect::<Vec<_>>(),
            "{line:?}"
        );
    }
}

#[test]
fn the_network_is_told_of() {
    let (settings, all) = Settings::parse(
        "ip=xn0:10.0.0.5/24,10.0.0.1 ip=dhcp page=8080 token=open-sesame nbd=a:xbd0 nbd=b:md0,ro",
    );
    assert_eq!(all, []);
    assert_eq!(settings.addresses.len(), 2);
    assert_eq!(settings.addresses[0].interface.as_deref(), Some("xn0"));
    assert_eq!(settings.page, Some(8080));
    assert_eq!(settings.token.as_deref(), Some("open-sesame"));
    let nbd: Vec<_> = settings
        .nbd
        .iter()
        .map(|export| {
            (
                &*export.name,
                &*export.target.provider,
                export.target.read_only,
            )
        })
        .collect();
    assert_eq!(nbd, [("a", "xbd0", false), ("b", "md0", true)]);
    assert_eq!(Settings::default().page, Some(80));
    assert_eq!(Settings::parse("page=off").0.page, None);
}

#[test]
fn what_the_network_cannot_mean_is_odd_and_left_out() {
    for line in [
        "ip=",
        "ip=10.0.0.5",
        "ip=10.0.0.0/24",
        "ip=eth0:dhcp",
        "page=",
        "page=0",
        "page=+80",
        "page=65536",
        "page=on",
        "token=",
        "token=short",
        "token=ünïcödes",
        "nbd=",
        "nbd=a",
        "nbd=a:",
        "nbd=:xbd0",
        "nbd=a/b:xbd0",
        "nbd=a:xbd0,rw",
        "nbd=a:xbd0,",
    ] {
        let (settings, all) = Settings::parse(line);
        assert_eq!(settings, Settings::default(), "{line}");
        assert_eq!(all.len(), 1, "{line}");
    }
    let (settings, all) = Settings::parse("nbd=a:xbd0 nbd=a:xbd1");
    assert_eq!((settings.nbd.len(), all.len()), (1, 1), "a name twice");
}

#[test]
fn a_bad_token_is_not_repeated() {
    assert_eq!(oddities("token=secret"), ["token=...: takes WORD"]);
}
