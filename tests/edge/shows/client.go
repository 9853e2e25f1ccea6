// Go's client: asks for a URL so many times on one connection, says status and body.
package main

import (
    "context"
    "crypto/tls"
    "crypto/x509"
    "fmt"
    "io"
    "net"
    "net/http"
    "os"
    "strconv"
    "time"
)

func main() {
    url, times := os.Args[1], os.Args[3]
    pem, err := os.ReadFile(os.Args[2])
    pool := x509.NewCertPool()
    pool.AppendCertsFromPEM(pem)
    count, _ := strconv.Atoi(times)
    dial := func(ctx context.Context, network, address string) (net.Conn, error) {
        _, port, _ := net.SplitHostPort(address)
        return (&net.Dialer{}).DialContext(ctx, network, "192.168.1.2:"+port)
    }
    transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: pool}}
    client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
    for ; err == nil && count > 0; count-- {
        var answer *http.Response
        if answer, err = client.Get(url); err == nil {
            var body []byte
            body, err = io.ReadAll(answer.Body)
            answer.Body.Close()
            fmt.Println(answer.StatusCode, string(body))
        }
    }
    if err != nil {
        fmt.Println("error", err)
        os.Exit(1)
    }
}
