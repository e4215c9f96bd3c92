//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
)

// demoOutside has no namespaces to run the demo in.
func (c *cli) demoOutside(context.Context) error {
	return fmt.Errorf("demo: it needs Linux's network namespaces and TAP devices: %w", errors.ErrUnsupported)
}
