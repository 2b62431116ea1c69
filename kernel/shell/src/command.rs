//! What each command does.
//!
//! A command is a future: it waits for the domain's parts and never holds them up, and dropping it
//! (^C) ends it.

mod disk;
mod exhaust;
mod exports;
mod fill;
mod hexdump;
mod made;
mod network;
mod pci;
mod ping;
mod reader;
mod status;
mod store;
mod sum;
mod target;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use balloon::Balloon;
use blkback::{Blkback, ExportUse};
use geom::Geom;
use hv::{Hypervisor, ShutdownReason};
use net::Net;
use nvme::Nvme;
use pcifront::Pcifront;
use pv::Pv;
use xenbus::Store;

use crate::help;
use crate::output::Output;
use crate::request::{self, Request, Resource};
use crate::words;
use target::Disks;

/// The parts of a domain that commands speak to.
pub struct Parts<H: Hypervisor> {
    /// Memory, grants, events, tasks, log, trace.
    pub pv: Pv<H>,
    /// What gives memory to Xen and gets it back.
    pub balloon: Balloon,
    /// Xenstore.
    pub store: Store,
    /// Disks and what they are made into.
    pub geom: Geom,
    /// What is served to others.
    pub blkback: Blkback<H>,
    /// The network.
    pub net: Net,
    /// The PCI devices.
    pub pcifront: Pcifront<H>,
    /// The NVMe controllers among them.
    pub nvme: Nvme<H>,
}

/// What is left to do after a command that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next command.
    Next,
    /// The domain's end.
    End(ShutdownReason),
}

impl<H: Hypervisor> Parts<H> {
    /// Runs the commands of a line, one after the other, also after one that fails; the reason if
    /// one asks for the domain's end, which is the last then.
    pub async fn run(&self, line: &str, out: &Output) -> Option<ShutdownReason> {
        for command in words::commands(line) {
            match request::parse(command) {
                Ok(None) => {}
                Ok(Some(request)) => match self.execute(request, out).await {
                    Ok(After::Next) => {}
                    Ok(After::End(reason)) => return Some(reason),
                    Err(text) => out.line(format_args!("{text}")),
                },
                Err(error) => out.line(format_args!("{error}")),
            }
        }
        None
    }

    /// Does what `request` asks for.
    ///
    /// # Errors
    /// What went wrong, as a line for the console.
    pub async fn execute(&self, request: Request, out: &Output) -> Result<After, String> {
        match request {
            Request::Help(name) => out.write(&help_on(name)?),
            Request::Dmesg => self.dmesg(out).await,
            Request::Uptime => {
                out.write(&status::uptime(self.pv.hv.now(), self.pv.hv.wall_clock()))
            }
            Request::Mem => {
                let (usage, standing) = (self.pv.hv.memory_use(), self.balloon.standing());
                out.write(&status::memory(usage));
                out.write(&status::balloon(&usage, &standing));
            }
            Request::Events => {
                out.write(&status::events(&self.pv.events.ports()));
            }
            Request::Grants => out.write(&status::grants(self.pv.grants.usage())),
            Request::Trace => self
                .pv
                .trace
                .try_for_each(|entry| out.line(format_args!("{entry}"))),
            Request::Tasks => out.write(&status::tasks(&self.pv.exec.tasks())),
            Request::StoreRead(path) => store::read(&self.store, &path, out).await?,
            Request::StoreList(path) => store::list(&self.store, &path, out).await?,
            Request::StoreWrite(path, value) => store::write(&self.store, &path, &value).await?,
            Request::Geom(form) => disk::graph(&self.geom, form, out),
            Request::DiskList => disk::list(&self.geom, out),
            Request::Exports => exports::run(&self.blkback, &self.pv.exec, out).await,
            Request::Sum(provider, range) => sum::run(&self.disks(), &provider, range, out).await?,
            Request::Hexdump(provider, range) => {
                hexdump::run(&self.disks(), &provider, range, out).await?;
            }
            Request::Fill(provider, seed, range) => {
                fill::run(&self.disks(), &provider, seed, range, out).await?;
            }
            Request::MdAttach(_)
            | Request::MdList
            | Request::ZeroCreate(_)
            | Request::NopCreate(..)
            | Request::NopConfigure(..)
            | Request::NopReset(_)
            | Request::NopList
            | Request::MadeDestroy(..) => made::run(&self.geom, request, out)?,
            Request::Ifconfig => out.write(&network::interfaces(&self.net.interfaces())),
            Request::Netstat => {
                let (sockets, all) = (self.net.sockets(), self.net.connections());
                network::sockets(&sockets, &all, out).await;
            }
            Request::PciList => out.write(&pci::list(&self.pcifront.functions())),
            Request::NvmeList => out.write(&pci::controllers(&self.nvme.controllers())),
            Request::Ping(wanted) => ping::run(&self.net, &self.pv.exec, &wanted, out).await?,
            Request::Host(name) => network::host(&self.net, &name, out).await?,
            Request::Tcpdump(count, interface) => {
                network::dump(&self.net, count, interface, out).await?;
            }
            Request::Exhaust(resource) => {
                // An overflow leaves no moment to answer them, and a client that waits for an
                // answer for ever takes its host's xenbus with it.
                let exports = self.blkback.exports();
                let any = self.blkback.has_clients() || exports.iter().any(ExportUse::is_in_use);
                if resource == Resource::Stack && any {
                    return Err(
                        "crash stack: clients are connected, and none would be answered".into(),
                    );
                }
                exhaust::all_of(resource)
            }
            Request::End(reason) => return Ok(After::End(reason)),
        }
        Ok(After::Next)
    }

    /// The names of the providers that can be opened.
    pub(crate) fn provider_names(&self) -> Vec<String> {
        let providers = self.geom.providers().into_iter();
        providers
            .filter(|provider| provider.error.is_none())
            .map(|provider| provider.name)
            .collect()
    }

    fn disks(&self) -> Disks<'_> {
        Disks {
            geom: &self.geom,
            exec: &self.pv.exec,
        }
    }

    async fn dmesg(&self, out: &Output) {
        for line in self.pv.log.lines_from(0) {
            out.line(format_args!("{line}"));
            out.room().await;
        }
    }
}

fn help_on(name: Option<String>) -> Result<String, String> {
    match name {
        None => Ok(help::all()),
        Some(name) => {
            help::of(&name).ok_or_else(|| format!("help: {}: no such command", name.escape_debug()))
        }
    }
}
