//! `streams`: a network measured; see [`dom0::streams`].
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use dom0::streams::{ask, serve};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve"] => serve::run(Ipv4Addr::UNSPECIFIED)?,
        ["send", address, bytes] => {
            let time = ask::send(read(address)?, read(bytes)?)?;
            println!("{}", time.as_secs_f64());
        }
        ["receive", address, bytes] => {
            let time = ask::receive(read(address)?, read(bytes)?)?;
            println!("{}", time.as_secs_f64());
        }
        ["udp", address, size, rate, seconds] => {
            let time = Duration::from_secs_f64(read(seconds)?);
            let (sent, counted, taken) = ask::udp(read(address)?, read(size)?, read(rate)?, time)?;
            println!("{sent} {counted} {}", taken.as_secs_f64());
        }
        _ => {
            eprint!("{}", ask::USAGE);
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read<T: FromStr>(word: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    word.parse().with_context(|| format!("{word:?}"))
}
