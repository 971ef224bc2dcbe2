//! Where containers of somebody else are reached: in several networks, on the machine's, on another container's, in none.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::topology::{InstanceId, Service, Topology};
use common::{docker, engine_answers, eventually, not_run, on, open, product, refused, start};

/// What this test makes, taken away in its end.
struct Made {
    containers: Vec<String>,
    networks: Vec<String>,
    prefix: String,
}

impl Made {
    fn new() -> Self {
        Self { containers: Vec::new(), networks: Vec::new(), prefix: format!("addresses-{}", std::process::id()) }
    }

    /// Writes the list of what may be touched: it is read with the first environment.
    fn allow(&self, names: &[&str]) {
        let lines: String = names.iter().map(|name| format!("{}-{name}\n", self.prefix)).collect();
        std::fs::write(std::env::var_os("CHAOS_ALLOW_FILE").unwrap(), lines).unwrap();
    }

    fn network(&mut self, name: &str) -> String {
        let name = format!("{}-{name}", self.prefix);
        docker(&["network", "create", &name]);
        self.networks.push(name.clone());
        name
    }

    /// Starts a shop's product in `network`, listening on `listen`.
    fn container(&mut self, image: &str, name: &str, network: &str, listen: &str) -> String {
        let name = format!("{}-{name}", self.prefix);
        let (network, listen) = (format!("--network={network}"), format!("--env=LISTEN={listen}"));
        docker(&["run", "--detach", "--init", "--name", &name, &network, &listen, image, "product"]);
        self.containers.push(name.clone());
        name
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let gone = |arguments: &[&str], names: &[String]| {
            let _ = Command::new("docker").args(arguments).args(names).stdout(Stdio::null()).status();
        };
        gone(&["rm", "--force", "--volumes"], &self.containers);
        gone(&["network", "rm"], &self.networks);
    }
}

fn instance() -> InstanceId {
    InstanceId::new("db", 1)
}

fn existing(container: &str, port: u16) -> Topology {
    Topology::new("existing").service(Service::new("db").existing(container).port(port).within(common::SOON))
}

/// The address in `network`, as the engine's own command line has it.
fn ip_in(container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    docker(&["inspect", "--format", &format, container]).trim().to_owned()
}

/// Whether the service answers through its link.
fn answers(environment: &Environment) -> bool {
    let ask = |address: SocketAddr| -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(300))?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(b"GET /products HTTP/1.1\r\nhost: db\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask(environment.address("db").unwrap()).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

async fn address(environment: &Environment) -> Option<String> {
    let status = environment.runtime().status(&instance()).await.unwrap();
    status.address.map(|address| address.to_string())
}

/// The list of what may be touched is read once by each process, so the test proper is one of its own.
#[test]
fn containers_are_reached_wherever_they_are() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    // In a folder that nobody else may write, or the list would be refused.
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("chaos-allow.txt");
    std::fs::write(&list, "").unwrap();
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "each_kind_of_network", "--ignored", "--nocapture"]).env("CHAOS_ALLOW_FILE", list);
    let mut running = test.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok) {
        eprintln!("{line}");
        said.push_str(&line);
    }
    assert!(running.wait().unwrap().success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test of this file"]
fn each_kind_of_network() {
    on(RuntimeKind::Docker, |kind| async move {
        let mut made = Made::new();
        made.allow(&["several", "host", "shared", "none"]);
        let image = image().await;
        let (zoo, ant) = (made.network("zoo"), made.network("ant"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let several = made.container(&image, "several", &zoo, "0.0.0.0:8080");
        docker(&["network", "connect", &ant, &several]);
        let host = made.container(&image, "host", "host", &format!("127.0.0.1:{port}"));
        let shared = made.container(&image, "shared", &format!("container:{several}"), "0.0.0.0:8081");
        let none = made.container(&image, "none", "none", "0.0.0.0:8080");

        is_on_the_network_of_another(kind, &shared, &format!("{}:8081", ip_in(&several, &ant)), &several).await;
        is_on_the_network_of_another(kind, &host, &format!("127.0.0.1:{port}"), "this machine").await;
        let message = refused(kind, existing(&none, 8080)).await.to_string();
        let expected =
            format!("container `{none}` is in no network, so its port 8080 cannot be reached; connect it to one, ");
        assert!(message.starts_with(&expected), "{message}");
        // Its restart takes the network from who shares it, so it comes last.
        is_followed_from_network_to_network(kind, &several, [&ant, &zoo]).await;
    });
}

async fn image() -> String {
    let (id, runtime) = open(RuntimeKind::Docker).await;
    let environment = Environment::start(&Topology::new("image").service(product()), runtime, 1).await.unwrap();
    let container = format!("{}-{}", id.name(), InstanceId::new("product", 1));
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", &container]).trim().to_owned();
    environment.destroy().await.unwrap();
    image
}

/// Of two networks the first by name counts, every time it is asked; and links go where the container goes.
async fn is_followed_from_network_to_network(kind: RuntimeKind, container: &str, [first, second]: [&str; 2]) {
    let environment = start(kind, existing(container, 8080)).await;
    let expected = Some(format!("{}:8080", ip_in(container, first)));
    for _ in 0..20 {
        assert_eq!(address(&environment).await, expected);
    }
    assert!(answers(&environment));
    docker(&["network", "disconnect", first, container]);
    eventually("it answers in its other network", || async { answers(&environment) }).await;
    assert_eq!(address(&environment).await, Some(format!("{}:8080", ip_in(container, second))));
    docker(&["network", "connect", first, container]);
    docker(&["network", "disconnect", second, container]);
    eventually("it answers in its first network again", || async { answers(&environment) }).await;
    docker(&["restart", "--time", "0", container]);
    eventually("it answers after a restart", || async { answers(&environment) }).await;
    assert_eq!(address(&environment).await, Some(format!("{}:8080", ip_in(container, first))));
    environment.destroy().await.unwrap();
}

/// Links lead there, and faults in a network that is not its own are refused.
async fn is_on_the_network_of_another(kind: RuntimeKind, container: &str, expected: &str, whose: &str) {
    let environment = start(kind, existing(container, expected.rsplit(':').next().unwrap().parse().unwrap())).await;
    assert_eq!(address(&environment).await.as_deref(), Some(expected));
    eventually("it answers", || async { answers(&environment) }).await;
    let whose = match whose {
        "this machine" => whose.to_owned(),
        other => format!("container {}", docker(&["inspect", "--format", "{{.Id}}", other]).trim()),
    };
    let refused = environment.runtime().network(&instance()).await.unwrap_err().to_string();
    assert!(
        refused.starts_with(&format!("db-1 is on the network of {whose}, which a fault would hit as well")),
        "{refused}"
    );
    environment.destroy().await.unwrap();
}
