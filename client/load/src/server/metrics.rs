//! The metrics endpoint of an edge: one plain HTTP GET, and the text format that it answers with.

use std::collections::BTreeMap;
use std::io::Read;

/// An edge's page has some 10 KiB.
const BODY_MAX: u64 = 4 << 20;
/// Series that are kept.
const SERIES_MAX: usize = 4096;

/// Every series of a page by its name with labels, as `requests_refused_total{code="BUSY"}`.
pub type Counters = BTreeMap<String, f64>;

/// Fetches and reads the page. `timeout` is for the whole exchange, seconds.
///
/// # Errors
/// What is wrong, with the URL: no answer in time, another status than 200, or nothing that is a metric.
pub fn fetch(url: &str, timeout: u64) -> Result<Counters, String> {
    let request = minreq::get(url)
        .with_timeout(timeout)
        .with_follow_redirects(false)
        .with_max_headers_size(16 << 10)
        .with_max_status_line_length(1 << 10);
    let response = request.send_lazy().map_err(|error| format!("{url}: {error}"))?;
    if response.status_code != 200 {
        return Err(format!("{url}: HTTP status {}", response.status_code));
    }
    let mut text = String::new();
    let read = response.take(BODY_MAX).read_to_string(&mut text);
    read.map_err(|error| format!("{url}: {error}"))?;
    let found = parse(&text);
    if found.is_empty() { Err(format!("{url}: no metrics there")) } else { Ok(found) }
}

/// One series, `name` with its labels as they stand there, or the sum of all series of this name; none: it is not there.
#[must_use]
pub fn sum(counters: &Counters, name: &str) -> Option<f64> {
    let is_of_name = |series: &str| {
        series.strip_prefix(name).is_some_and(|labels| labels.is_empty() || labels.starts_with('{'))
    };
    let found = counters.iter().filter(|(series, _)| is_of_name(series));
    found.map(|(_, value)| *value).reduce(|one, other| one + other)
}

/// Lines of `name{labels} value`; comments and what is not a number are passed over.
fn parse(text: &str) -> Counters {
    let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        // Labels may hold spaces; a time may follow the value.
        let name_end = line.find('}').map_or_else(|| line.find(' '), |brace| Some(brace + 1))?;
        let (name, rest) = line.split_at(name_end);
        let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
        value.is_finite().then(|| (name.to_owned(), value))
    });
    series.take(SERIES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    const PAGE: &str = "# HELP segcast_edge_requests_refused Requests refused.\n\
        # TYPE segcast_edge_requests_refused counter\n\
        segcast_edge_requests_refused_total{code=\"TOO_MANY_REQUESTS\"} 17\n\
        segcast_edge_sessions 3\n\
        odd{label=\"a b\"} 1.5 1700000000\n\
        nothing NaN\n\
        # EOF\n";

    #[test]
    fn a_page_is_read() {
        let found = parse(PAGE);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found["segcast_edge_requests_refused_total{code=\"TOO_MANY_REQUESTS\"}"], 17.0);
        assert_eq!(found["segcast_edge_sessions"], 3.0);
        assert_eq!(found["odd{label=\"a b\"}"], 1.5);
        assert!(parse("} { 1\n}\n{\n \n").len() <= 1);
    }

    #[test]
    fn a_name_alone_is_the_sum_and_one_with_labels_is_one_series() {
        let counters = parse("# TYPE a counter\na{code=\"X\"} 2\na{code=\"Y\"} 3\nab 7\nc 5\n");
        assert_eq!(sum(&counters, "a"), Some(5.0));
        assert_eq!(sum(&counters, "a{code=\"Y\"}"), Some(3.0));
        assert_eq!(sum(&counters, "c"), Some(5.0));
        assert_eq!(sum(&counters, "d"), None);
    }

    /// Answers one request with `answer`; gives its URL.
    fn serve(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/metrics", listener.local_addr().expect("bound"));
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).expect("a request");
            assert!(request[..read].starts_with(b"GET /metrics HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("the client reads");
        });
        url
    }

    #[test]
    fn an_endpoint_is_asked() {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len());
        assert_eq!(fetch(&serve(answer), 2), Ok(parse(PAGE)));
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
        assert!(fetch(&serve(missing), 2).unwrap_err().ends_with("HTTP status 404"));
        let other = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned();
        assert!(fetch(&serve(other), 2).unwrap_err().ends_with("no metrics there"));
        assert!(fetch("http://127.0.0.1:1/metrics", 2).is_err());
        assert!(fetch("https://127.0.0.1:1/metrics", 2).is_err(), "there is no TLS here");
    }
}
