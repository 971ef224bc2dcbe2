//! A network under 127.0.0.0/8 for one environment, so that environments share no address.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use crate::runtime::RuntimeError;
use crate::runtime::machine_lock::MachineLock;
use crate::topology::InstanceId;

/// How many networks are tried; there are 254 * 256 of them.
const TRIES: u32 = 1000;
/// The last byte of the address at which links are bound.
const LINKS: u8 = 1;
/// Those of the first instance and of the last one; after it comes the broadcast address.
const FIRST: u8 = 2;
const LAST: u8 = 254;

/// The network 127.`second`.`third`.0/24. A lock keeps other environments out, those of other users as well, and goes away
/// with the process, whatever ends it.
#[derive(Debug)]
pub(super) struct Loopback {
    second: u8,
    third: u8,
    /// Instances in the order in which they asked for an address.
    known: Mutex<Vec<InstanceId>>,
    _lock: MachineLock,
}

impl Loopback {
    /// Takes a free network.
    pub(super) fn take() -> Result<Self, RuntimeError> {
        for number in 0..TRIES {
            // Starting points differ between processes, so that most get their first choice.
            let mut hasher = DefaultHasher::new();
            (std::process::id(), number).hash(&mut hasher);
            let [second, third, ..] = hasher.finish().to_le_bytes();
            if second == 0 {
                continue; // 127.0.x.x is where people's own services are.
            }
            let network = format!("127.{second}.{third}.0/24");
            let lock = MachineLock::take(&network).map_err(RuntimeError::io(format!("take network {network}")))?;
            if let Some(lock) = lock {
                return Ok(Self { second, third, known: Mutex::default(), _lock: lock });
            }
        }
        Err(RuntimeError::NoLoopback { tried: TRIES })
    }

    /// Where links are bound.
    pub(super) fn link_host(&self) -> IpAddr {
        self.host(LINKS)
    }

    /// The address of an instance; the same at every call.
    pub(super) fn address_of(&self, instance: &InstanceId) -> Result<IpAddr, RuntimeError> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hosts: Vec<u8> = (FIRST..=LAST).collect();
        let position = known.iter().position(|other| other == instance).unwrap_or(known.len());
        let Some(host) = hosts.get(position) else {
            return Err(RuntimeError::LoopbackFull { instance: instance.clone(), most: hosts.len() });
        };
        if position == known.len() {
            known.push(instance.clone());
        }
        Ok(self.host(*host))
    }

    fn host(&self, last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.second, self.third, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn two_environments_share_no_address() {
        let (one, other) = (Loopback::take().unwrap(), Loopback::take().unwrap());
        assert_ne!(one.link_host(), other.link_host());
    }

    #[test]
    fn every_instance_keeps_an_address_of_its_own_and_none_is_for_broadcasts() {
        let loopback = Loopback::take().unwrap();
        let id = |number| InstanceId::new("a", number);
        let mut seen = BTreeSet::from([loopback.link_host()]);
        for number in 1..=253 {
            let address = loopback.address_of(&id(number)).unwrap();
            assert!(seen.insert(address), "instance {number}: {address}");
            let IpAddr::V4(v4) = address else { panic!("{address}") };
            assert!(![0, 255].contains(&v4.octets()[3]), "instance {number}: {address}");
        }
        let full = loopback.address_of(&id(254)).unwrap_err().to_string();
        assert!(full.contains("a-254") && full.contains("253"), "{full}");
        assert_eq!(loopback.address_of(&id(1)).unwrap(), loopback.host(FIRST));
        assert!(loopback.address_of(&id(255)).is_err(), "it stays full");
    }
}
