package service

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Many that ask at once are told the same; a moment later it is news.
func TestFrontPageIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		h := Handler(func() Page {
			made++
			return Page{Name: fmt.Sprintf("host-%d", made)}
		})
		get := func() string {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			require.Equal(t, 200, w.Code)
			return w.Body.String()
		}
		for range 100 {
			require.Contains(t, get(), "host-1")
		}
		time.Sleep(frontAge)
		require.Contains(t, get(), "host-2")
		require.Equal(t, 2, made)
	})
}
