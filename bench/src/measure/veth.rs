//! Which core works for a veth device (veth(4)).

use segcast_lab::netns::Namespace;

/// Lets `core` do the receive work of the device (Documentation/networking/scaling.rst, RPS). /sys shows the devices of
/// the namespace in which it was mounted, so it is mounted anew for the moment.
///
/// # Errors
/// Without CAP_SYS_ADMIN, or `unshare` and `mount` of util-linux.
pub(crate) fn steer(end: &Namespace, device: &str, core: usize) -> anyhow::Result<()> {
    let mask = cpu_mask(core);
    let script = format!(
        "mount -t sysfs sysfs /sys && echo {mask} > /sys/class/net/{device}/queues/rx-0/rps_cpus"
    );
    let output = end.command("unshare")?.args(["--mount", "sh", "-c", &script]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "receive steering: {}: {said}", output.status);
    Ok(())
}

/// A set of one core as the kernel writes it: hexadecimal words of 32 bits, the highest first.
fn cpu_mask(core: usize) -> String {
    format!("{:x}", 1_u32 << (core % 32)) + &",00000000".repeat(core / 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_named_as_the_kernel_does() {
        assert_eq!(cpu_mask(0), "1");
        assert_eq!(cpu_mask(5), "20");
        assert_eq!(cpu_mask(33), "2,00000000");
    }
}
