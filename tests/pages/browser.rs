//! Chromium, controlled by chromedriver over HTTP (W3C WebDriver).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The key of an element's id in WebDriver responses.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a temporary profile, closed at the end of the test.
pub struct Browser {
    agent: ureq::Agent,
    session: String,
    _driver: Driver,
    _profile: TempDir,
}

/// The chromedriver process, killed at the end of the test.
struct Driver {
    process: Child,
    _output: BufReader<ChildStdout>,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut process =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut stderr = String::new();
        let port = loop {
            let begun = stderr.len();
            assert!(output.read_line(&mut stderr).unwrap() > 0, "chromedriver exited: {stderr}");
            if let Some((_, port)) = stderr[begun..].split_once("successfully on port ") {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        Driver { process, _output: output, port }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts a browser if one is installed.
    pub fn start() -> Option<Self> {
        let is_there = |program| Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success());
        if !is_there("chromium") || !is_there("chromedriver") {
            eprintln!("SKIPPED: chromium and chromedriver are not installed");
            return None;
        }
        let (driver, profile) = (Driver::start(), tempfile::tempdir().unwrap());
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = ureq::Agent::from(config.timeout_global(Some(Duration::from_secs(120))).build());
        let root = format!("http://127.0.0.1:{}/session", driver.port);
        let folder = format!("--user-data-dir={}", profile.path().display());
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1300,900",
            &folder,
        ];
        let expected = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let begun = answer(agent.post(&root).send_json(expected));
        let session = format!("{root}/{}", begun["sessionId"].as_str().unwrap());
        Some(Browser { agent, session, _driver: driver, _profile: profile })
    }

    fn post(&self, command: &str, body: Value) -> Value {
        answer(self.agent.post(format!("{}/{command}", self.session)).send_json(body))
    }

    /// Opens a file, waits until it is loaded, and returns its URL.
    pub fn open(&self, file: &Path) -> String {
        let address = format!("file://{}", file.display());
        self.post("url", json!({ "url": address }));
        address
    }

    /// Runs the body of a function on the page and returns its result.
    pub fn script(&self, body: &str) -> Value {
        self.post("execute/sync", json!({ "script": body, "args": [] }))
    }

    /// Scrolls to an element and clicks it; fails if another element covers it.
    pub fn click(&self, selector: &str) {
        let found = self.post("element", json!({ "using": "css selector", "value": selector }));
        self.post(&format!("element/{}/click", found[ELEMENT].as_str().unwrap()), json!({}));
    }

    /// The console messages of the page.
    pub fn console(&self) -> Vec<Value> {
        self.post("se/log", json!({ "type": "browser" })).as_array().unwrap().clone()
    }

    /// The URLs that the page requested, excluding those of the browser's internal pages.
    pub fn requests(&self) -> Vec<String> {
        let log = self.post("se/log", json!({ "type": "performance" }));
        let events = log.as_array().unwrap().iter().map(|entry| -> Value {
            serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap()["message"].take()
        });
        let sent = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        let by_page = sent.filter(|event| !event["params"]["documentURL"].as_str().unwrap().starts_with("chrome:"));
        by_page.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser must exit before the driver.
        let _ = self.agent.delete(&self.session).call();
    }
}

/// The value of a successful response.
fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let mut body: Value = response.unwrap().body_mut().read_json().unwrap();
    assert!(body["value"]["error"].is_null(), "{body}");
    body["value"].take()
}
