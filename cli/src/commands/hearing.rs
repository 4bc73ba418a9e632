//! The flags by which a viewer hears groups: the same for one who watches and for many in a load.

use clap::Args;
use segcast_client::connection::MulticastConfig;
use segcast_config::amount;
use segcast_proto::rate::Rate;

/// Where groups are heard, and how much may come by them.
#[derive(Args, Clone, Debug)]
pub(crate) struct HearingArgs {
    /// With --play: hear groups on this interface, where the edge has some; in a network that carries multicast
    #[arg(long, value_name = "INTERFACE", requires = "play")]
    multicast: Option<String>,
    /// With --multicast: the port that the edge sends to
    #[arg(long, value_name = "PORT", default_value_t = 4872, requires = "multicast")]
    multicast_port: u16,
    /// With --multicast: what may come to each viewer by groups
    #[arg(long, value_name = "RATE", default_value = "100Mbit/s", value_parser = amount::read_bit_rate, requires = "multicast")]
    multicast_rate: u64,
}

impl HearingArgs {
    pub(crate) fn multicast(&self) -> Option<MulticastConfig> {
        let interface = self.multicast.clone()?;
        Some(MulticastConfig { interface, port: self.multicast_port })
    }

    pub(crate) fn rate(&self) -> Rate {
        Rate::new(self.multicast_rate / 8)
    }
}
