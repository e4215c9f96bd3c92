package control

import (
	"net/http"
	"strings"
	"syscall"
)

// Sysctl is a value under its Linux name.
type Sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sysctlShow returns the values called key, or below it as in a directory; all of
// them when no key is given.
func (s *Server) sysctlShow(r *http.Request) (any, error) {
	list := []Sysctl{}
	keys := r.URL.Query()["key"]
	for _, key := range keys {
		if v, err := s.host.Sysctl(key); err == nil {
			list = append(list, Sysctl{dotted(key), v})
			continue
		} else if errno(err) != syscall.ENOENT {
			return nil, fail(err, "sysctl %s", key)
		}
		found := s.sysctlsBelow(dotted(key) + ".")
		if len(found) == 0 {
			return nil, fail(syscall.ENOENT, "sysctl %s", key)
		}
		list = append(list, found...)
	}
	if len(keys) == 0 {
		list = s.sysctlsBelow("")
	}
	return list, nil
}

func (s *Server) sysctlsBelow(dir string) (list []Sysctl) {
	for _, name := range s.host.SysctlNames() {
		if !strings.HasPrefix(name, dir) {
			continue
		}
		if v, err := s.host.Sysctl(name); err == nil {
			list = append(list, Sysctl{name, v})
		}
	}
	return list
}

func (s *Server) sysctlSet(r *http.Request) (any, error) {
	var v Sysctl
	if err := decode(r, &v); err != nil {
		return nil, err
	}
	if err := s.host.SetSysctl(v.Name, v.Value); err != nil {
		return nil, fail(err, "sysctl %s=%s", v.Name, v.Value)
	}
	return Sysctl{dotted(v.Name), v.Value}, nil
}

// dotted returns a name in the form with dots between its parts. As with
// sysctl(8), a name whose first separator is a slash has slashes between its
// parts, and a dot in a part stands for itself.
func dotted(name string) string {
	name = strings.TrimPrefix(name, "/proc/sys/")
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '.' {
		return name
	}
	return strings.NewReplacer("/", ".", ".", "/").Replace(name)
}
