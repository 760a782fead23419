package posix

import "testing"

func TestOwnDescriptorIsNamedLikeTheKernelNamesIt(t *testing.T) {
	own := func(id int) bool { return id == 7 || id == 8 }
	for name, want := range map[string]int32{
		"/dev/fd/0": 0, "/proc/self/fd/3": 3, "/proc/thread-self/fd/3": 3, "/proc/7/fd/12": 12, "/proc/8/fd/12": 12,
		"/proc/self/task/8/fd/1": 1, "/proc/7/task/7/fd/1": 1,
	} {
		if got, ok := OwnDescriptor(name, own); !ok || got != want {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
	}
	for _, name := range []string{
		"", "/", "/dev/fd", "/dev/fd/", "/dev/fd/x", "/dev/fd/-1", "/dev/fd/+1", "/dev/fd/01", "/dev/fd/1/", "/dev/fd/2147483648",
		"/proc/self/fd", "/proc/9/fd/1", "/proc/07/fd/1", "/proc/self/fdinfo/1", "/proc/self/task/9/fd/1", "/proc/thread-self/task/8/fd/1",
		"/proc/self/../fd/1", "proc/self/fd/1", "/dev/stdin",
	} {
		if got, ok := OwnDescriptor(name, own); ok {
			t.Errorf("%s is %d", name, got)
		}
	}
}
