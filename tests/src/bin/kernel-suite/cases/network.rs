//! Packets between two network namespaces that the case makes and removes.

use crate::harness::{Case, Need, Outcome, find_program};
use crate::tracer::{Running, wait, work};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "xdp drops pings and counts them", needs: &[Need::Veth], run: drop_pings },
    Case { name: "xdp without a verdict loses nothing", needs: &[Need::Veth], run: pass_pings },
    Case { name: "xdp drops by a table of networks", needs: &[Need::Veth], run: drop_networks },
    Case { name: "a verdict must be allowed", needs: &[], run: not_allowed },
    Case { name: "an interface takes one xdp probe", needs: &[], run: one_program },
];

const NEAR: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";

/// Two namespaces joined by a veth pair; removed when dropped.
pub(super) struct Link {
    near: String,
    far: String,
}

fn ip(arguments: &str) -> Outcome {
    let program = find_program("ip").ok_or("no ip")?;
    let run = wait(Command::new(program).args(arguments.split(' ')))?;
    run.expect(run.code == 0, &format!("ip {arguments} to work"))
}

impl Link {
    pub(super) fn new() -> Result<Link, String> {
        let id = std::process::id();
        let link = Link { near: format!("ksn{id}"), far: format!("ksf{id}") };
        let Link { near, far } = &link;
        // `ip netns` wants it; a bare virtual machine has no /run.
        std::fs::create_dir_all("/run/netns").map_err(|error| error.to_string())?;
        for arguments in [
            format!("netns add {near}"),
            format!("netns add {far}"),
            format!("-n {near} link add veth0 type veth peer name veth1 netns {far}"),
            format!("-n {near} addr add {NEAR}/24 dev veth0"),
            format!("-n {far} addr add {FAR}/24 dev veth1"),
            format!("-n {near} link set veth0 up"),
            format!("-n {far} link set veth1 up"),
        ] {
            ip(&arguments)?;
        }
        Ok(link)
    }

    fn command(&self, namespace: &str, program: &str) -> Command {
        let mut command = Command::new(find_program("ip").unwrap_or_default());
        command.args(["netns", "exec", namespace]).args(program.split(' '));
        command
    }

    /// How many of ten pings from the far side are answered.
    fn pings(&self) -> Result<u32, String> {
        self.pings_to(NEAR)
    }

    /// The same for any address of the near side.
    pub(super) fn pings_to(&self, address: &str) -> Result<u32, String> {
        let ping = find_program("ping").map_or("busybox ping".to_owned(), |it| it);
        let run = wait(&mut self.command(&self.far, &format!("{ping} -c 10 -i 0.1 -W 1 {address}")))?;
        let line = run.stdout.lines().find(|it| it.contains("packets transmitted")).unwrap_or_default();
        let answered = line.split(", ").nth(1).and_then(|it| it.split(' ').next()?.parse().ok());
        answered.ok_or_else(|| format!("no summary from ping: {} {}", run.stdout, run.stderr))
    }

    /// Whether bytes go there and back over TCP.
    fn tcp(&self) -> Result<bool, String> {
        let mut server = self.command(&self.near, &work(&format!("tcp-server {NEAR}:8077")));
        let mut server = server.stdout(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        std::thread::sleep(Duration::from_millis(300));
        let client = wait(&mut self.command(&self.far, &work(&format!("tcp-client {NEAR}:8077"))));
        let _ = server.kill();
        let _ = server.wait();
        Ok(client?.code == 0)
    }

    /// Gives both sides one more address.
    pub(super) fn add_addresses(&self, near: &str, far: &str) -> Outcome {
        ip(&format!("-n {} addr add {near} dev veth0", self.near))?;
        ip(&format!("-n {} addr add {far} dev veth1", self.far))
    }

    /// Runs `kscope` on the near side.
    pub(super) fn filter(&self, arguments: &[&str]) -> Result<Running, String> {
        let mut command = self.command(&self.near, &crate::tracer::kscope());
        Running::start_command(command.args(arguments))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            let _ = ip(&format!("netns del {namespace}"));
        }
    }
}

fn drop_pings() -> Outcome {
    let link = Link::new()?;
    if link.pings()? != 10 {
        return Err("the link loses pings without a filter".to_owned());
    }
    let script = "xdp:veth0 /icmp/ { @drop[ip.saddr] = count(); drop; }";
    let filter = link.filter(&["--allow", "verdict", "-e", script])?;
    let (answered, tcp) = (link.pings()?, link.tcp()?);
    let run = filter.stop(libc::SIGINT)?;
    run.expect(answered == 0, &format!("no answered ping, not {answered}"))?;
    run.expect(tcp, "TCP to pass")?;
    run.expect(run.map(&format!("@drop[{FAR}]")) == Some("10"), "10 dropped packets")?;
    if link.pings()? != 10 {
        return Err("pings are still lost after the end".to_owned());
    }
    Ok(())
}

fn pass_pings() -> Outcome {
    let link = Link::new()?;
    let filter = link.filter(&["-e", "xdp:veth0 /icmp/ { @seen[ip.saddr] = count(); }"])?;
    let answered = link.pings()?;
    let run = filter.stop(libc::SIGINT)?;
    run.expect(answered == 10, &format!("ten answered pings, not {answered}"))?;
    run.expect(run.map(&format!("@seen[{FAR}]")) == Some("10"), "10 packets seen")
}

/// The far end is in two networks of the table, of which the smaller one counts.
fn drop_networks() -> Outcome {
    let link = Link::new()?;
    for (class, due) in [(2, 0), (1, 10)] {
        let script = format!(
            "let @net = lpm(16); \
             BEGIN {{ @net[0.0.0.0/0] = 1; @net[10.77.0.0/24] = 2; @net[{NEAR}] = 3; }} \
             xdp:veth0 /icmp && ip.saddr in @net && @net[ip.saddr] == {class}/ {{ drop; }}"
        );
        let filter = link.filter(&["--allow", "verdict", "-e", &script])?;
        let answered = link.pings()?;
        let run = filter.stop(libc::SIGINT)?;
        run.expect(answered == due, &format!("{due} answered pings, not {answered}"))?;
        let table = "@net[0.0.0.0/0]: 1\n@net[10.77.0.0/24]: 2\n@net[10.77.0.1/32]: 3\n";
        run.expect(run.stdout.contains(table), "the table printed")?;
    }
    Ok(())
}

fn not_allowed() -> Outcome {
    let run = crate::tracer::run(&["-e", "xdp:lo /icmp/ { drop; }"])?;
    run.expect(run.code == 1 && run.stderr.contains("--allow verdict"), "a refusal with the flag to give")
}

fn one_program() -> Outcome {
    let seen = crate::tracer::run(&["-e", "xdp:lo /icmp/ { @a = count(); } xdp:lo { @b = count(); }"])?;
    let told = seen.stderr.contains("`lo` takes one XDP program, and the script has several probes for it");
    seen.expect(seen.code == 2 && told, "a message that says why")
}
