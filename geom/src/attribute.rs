//! Attributes: answered by the nearest that knows them.

use alloc::format;
use alloc::string::{String, ToString};

use crate::disk::{Attribute, DiskParams};
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::ProviderId;
use crate::mesh::Mesh;
use crate::node::Kind;

impl Mesh {
    pub(crate) fn attribute(&self, id: ProviderId, name: &str) -> Result<Attribute, Errno> {
        let graph = self.graph.borrow();
        let provider = graph.providers.get(id).ok_or(Errno::NoDevice)?;
        if let Some(errno) = provider.error {
            return Err(errno);
        }
        if let Some(answer) = graph.slice_attribute(id, name) {
            return Ok(answer);
        }
        let disk_id = provider.base.disk;
        let disk = graph.disks.get(disk_id).ok_or(Errno::NoDevice)?;
        if !disk.is_live() {
            return Err(Errno::NoDevice);
        }
        let door = disk.door.clone();
        drop(graph);
        let answer = door.getattr(name);
        self.send(disk_id);
        self.inbox.ring();
        if let Some(answer) = answer {
            return answer;
        }
        let graph = self.graph.borrow();
        let disk = graph.disks.get(disk_id).ok_or(Errno::NoDevice)?;
        known(&disk.params, name).ok_or(Errno::NotFound)
    }
}

impl Graph {
    /// What a slicer tells of one of its providers: `PART::scheme`, `PART::offset`, and what its
    /// table says, such as `PART::type`.
    fn slice_attribute(&self, id: ProviderId, name: &str) -> Option<Attribute> {
        let provider = self.providers.get(id)?;
        let Kind::Slicer(slicer) = &self.geoms.get(provider.geom)?.kind else {
            return None;
        };
        let slice = provider.slice.as_ref()?;
        let key = name.strip_prefix(slicer.class_name)?.strip_prefix("::")?;
        match key {
            "scheme" => Some(Attribute::Text(slicer.scheme.into())),
            "offset" => Some(Attribute::Number(slice.start)),
            "index" => Some(Attribute::Number(u64::from(slice.index))),
            _ => {
                let (_, value) = slice.config.iter().find(|(known, _)| *known == key)?;
                Some(Attribute::Text(value.clone()))
            }
        }
    }
}

/// What the parameters of a disk answer.
fn known(params: &DiskParams, name: &str) -> Option<Attribute> {
    Some(match name {
        "GEOM::ident" => Attribute::Text(printable(&params.ident)),
        "GEOM::descr" => Attribute::Text(params.description.clone()),
        "GEOM::candelete" => Attribute::Flag(params.limits.can_delete),
        "GEOM::canflush" => Attribute::Flag(params.limits.can_flush),
        "GEOM::fwsectors" => Attribute::Number(u64::from(params.fwsectors)),
        "GEOM::fwheads" => Attribute::Number(u64::from(params.fwheads)),
        _ => return None,
    })
}

/// The text with every byte that is not printable ASCII as `xHH`.
fn printable(text: &str) -> String {
    let show = |byte: u8| match byte {
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("x{byte:02x}"),
    };
    text.bytes().map(show).collect()
}
