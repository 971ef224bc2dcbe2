//! A network under 127.0.0.0/8 for one environment, so that environments share no address.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Mutex;

use super::folders;
use crate::runtime::RuntimeError;
use crate::topology::InstanceId;

/// How many networks are tried; there are 254 * 256 of them.
const TRIES: u32 = 1000;

/// The network 127.`second`.`third`.0/24. A lock on a file keeps other environments out, and goes away
/// with the process, whatever ends it.
#[derive(Debug)]
pub(super) struct Loopback {
    second: u8,
    third: u8,
    /// Instances in the order in which they asked for an address.
    known: Mutex<Vec<InstanceId>>,
    _lock: File,
}

impl Loopback {
    /// Takes a free network.
    pub(super) fn take() -> Result<Self, RuntimeError> {
        let folder = lock_folder();
        fs::create_dir_all(&folder).map_err(RuntimeError::io(format!("make {}", folder.display())))?;
        for number in 0..TRIES {
            // Starting points differ between processes, so that most get their first choice.
            let mut hasher = DefaultHasher::new();
            (std::process::id(), number).hash(&mut hasher);
            let [second, third, ..] = hasher.finish().to_le_bytes();
            if second == 0 {
                continue; // 127.0.x.x is where people's own services are.
            }
            if let Some(lock) = lock(&folder.join(format!("127.{second}.{third}")))? {
                return Ok(Self { second, third, known: Mutex::default(), _lock: lock });
            }
        }
        Err(RuntimeError::NoLoopback { tried: TRIES })
    }

    /// Where links are bound.
    pub(super) fn link_host(&self) -> IpAddr {
        self.host(1)
    }

    /// The address of an instance; the same at every call.
    pub(super) fn address_of(&self, instance: &InstanceId) -> IpAddr {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let position = known.iter().position(|other| other == instance).unwrap_or_else(|| {
            known.push(instance.clone());
            known.len() - 1
        });
        self.host(u8::try_from(position + 2).unwrap_or(u8::MAX))
    }

    fn host(&self, last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.second, self.third, last))
    }
}

fn lock_folder() -> PathBuf {
    folders::of_user().join("loopback")
}

fn lock(path: &PathBuf) -> Result<Option<File>, RuntimeError> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(RuntimeError::io(format!("open {}", path.display())))?;
    Ok(file.try_lock().is_ok().then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_environments_share_no_address() {
        let (one, other) = (Loopback::take().unwrap(), Loopback::take().unwrap());
        assert_ne!(one.link_host(), other.link_host());
    }

    #[test]
    fn an_instance_keeps_its_address() {
        let loopback = Loopback::take().unwrap();
        let (a, b) = (InstanceId::new("a", 1), InstanceId::new("b", 1));
        let first = loopback.address_of(&a);
        assert_ne!(first, loopback.address_of(&b));
        assert_eq!(first, loopback.address_of(&a));
        assert_ne!(first, loopback.link_host());
    }
}
