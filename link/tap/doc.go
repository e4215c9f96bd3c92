// Package tap opens Linux TAP devices: the host's own end of an Ethernet cable
// whose other end is an interface of the kernel.
//
// Open attaches to a device that exists, and leaves it as it was at Close, or
// creates one, which goes away with Close. It configures the kernel's side
// through rtnetlink, so that nothing but the privilege is needed: root, or
// CAP_NET_ADMIN in the network namespace's user namespace. Elsewhere than on
// Linux, Open returns an error.
//
// The device's link is the kernel's side being up, which ReadCarrier follows: it
// is told by the kernel, and asks for nothing by itself.
//
// Sources: Documentation/networking/tuntap.rst of the Linux kernel,
// rtnetlink(7), netdevice(7).
package tap
