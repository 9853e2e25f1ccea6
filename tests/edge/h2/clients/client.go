// Go's client: asks for everything and says what has come.
package main

import (
    "bytes"
    "context"
    "crypto/tls"
    "crypto/x509"
    "fmt"
    "io"
    "net"
    "net/http"
    "os"
    "strconv"
    "strings"
    "sync"
    "sync/atomic"
    "time"
)

var client *http.Client

func fail(err error) {
    if err != nil {
        fmt.Println("error", err)
        os.Exit(1)
    }
}

func ask(method, url string, body io.Reader, trailer http.Header) (*http.Response, []byte) {
    request, err := http.NewRequest(method, url, body)
    fail(err)
    request.Trailer = trailer
    answer, err := client.Do(request)
    fail(err)
    defer answer.Body.Close()
    all, err := io.ReadAll(answer.Body)
    fail(err)
    return answer, all
}

func main() {
    url, raw, large := os.Args[1], os.Args[4], os.Args[5]
    length, _ := strconv.Atoi(os.Args[3])
    pem, err := os.ReadFile(os.Args[2])
    fail(err)
    pool := x509.NewCertPool()
    pool.AppendCertsFromPEM(pem)
    dial := func(ctx context.Context, network, address string) (net.Conn, error) {
        _, port, _ := net.SplitHostPort(address)
        return (&net.Dialer{}).DialContext(ctx, network, "192.168.1.2:"+port)
    }
    transport := &http.Transport{
        DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true,
    }
    client = &http.Client{Transport: transport, Timeout: 120 * time.Second}
    answer, body := ask("GET", url+"/hello", nil, nil)
    fmt.Println("get", answer.ProtoMajor, answer.StatusCode, string(body))
    answer, body = ask("POST", url+"/length", bytes.NewReader(bytes.Repeat([]byte("b"), length)), nil)
    fmt.Println("post", answer.StatusCode, string(body))
    _, body = ask("GET", url+large, nil, nil)
    fmt.Println("big", bytes.Count(body, []byte("b")), len(body))
    answer, body = ask("GET", url+raw, nil, nil)
    fmt.Println("trailers", string(body), answer.Trailer.Get("X-Sum"))
    var right int64
    var all sync.WaitGroup
    for number := 0; number < 20; number++ {
        all.Add(1)
        go func(path string) {
            defer all.Done()
            if _, body := ask("GET", url+path, nil, nil); string(body) == path {
                atomic.AddInt64(&right, 1)
            }
        }(fmt.Sprintf("/parallel-%d", number))
    }
    all.Wait()
    fmt.Println("parallel", right)
    _, body = ask("POST", url+"/length", io.NopCloser(strings.NewReader("abc")), http.Header{"X-Up": {"go"}})
    fmt.Println("upward", string(body))
}
