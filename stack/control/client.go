package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
)

// Client talks to the host behind a control socket.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the socket at path. Nothing is opened yet.
func NewClient(path string) *Client {
	var d net.Dialer
	return &Client{path: path, http: http.Client{Transport: &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		},
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get reads an object below /v1/ into out.
func (c *Client) Get(ctx context.Context, object string, query url.Values, out any) error {
	body, err := c.open(ctx, http.MethodGet, object, query, nil)
	if err != nil {
		return err
	}
	return finish(body, out)
}

// Post carries out a command below /v1/; out may be nil.
func (c *Client) Post(ctx context.Context, command string, in, out any) error {
	body, err := c.open(ctx, http.MethodPost, command, nil, in)
	if err != nil {
		return err
	}
	return finish(body, out)
}

func finish(body io.ReadCloser, out any) error {
	defer body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("control: answer of the host: %w", err)
	}
	return nil
}

// Stream reads an object that goes on for as long as the host or ctx do, and
// calls f with each line. It returns nil when the host ends it, f's error when f
// ends it.
func (c *Client) Stream(ctx context.Context, method, object string, query url.Values, in any, f func(json.RawMessage) error) error {
	body, err := c.open(ctx, method, object, query, in)
	if err != nil {
		return err
	}
	defer body.Close()
	d := json.NewDecoder(body)
	for {
		var line json.RawMessage
		if err := d.Decode(&line); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return fmt.Errorf("control: stream of the host: %w", err)
		}
		if err := f(line); err != nil {
			return err
		}
	}
}

// open sends a request and returns the body of its answer.
func (c *Client) open(ctx context.Context, method, object string, query url.Values, in any) (io.ReadCloser, error) {
	req, err := c.request(ctx, method, object, query, in)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *Client) request(ctx context.Context, method, object string, query url.Values, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("control: request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	u := url.URL{Scheme: "http", Host: "tapstack", Path: "/v1/" + object, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("control: request: %w", err)
	}
	return req, nil
}

func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 300 { // 101 included
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if json.Unmarshal(b, e) != nil || e.Text == "" {
		e.Text = fmt.Sprintf("control: %s: %s", resp.Status, bytes.TrimSpace(b))
	}
	return nil, e
}

// unreachable turns what went wrong below HTTP into what it means.
func (c *Client) unreachable(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK):
		return fmt.Errorf("%w %s", ErrNoHost, c.path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("control: socket %s: %w", c.path, syscall.EACCES)
	}
	return err
}
