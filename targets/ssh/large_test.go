package ssh

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
	"shannot-gateway/vfs"
)

// streamOf opens a file of a view that must be a stream.
func streamOf(t *testing.T, v targets.View, name string) vfs.Stream {
	t.Helper()
	_, s, err := v.(*View).OpenStream(name, syscall.O_RDONLY)
	if err != nil || s == nil {
		t.Fatalf("%s: %v, %v", name, s, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// at is the readable form of a stream for io.NewSectionReader, whose contract wants whole reads.
type whole struct{ vfs.Stream }

func (w whole) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = w.Stream.ReadAt(p[n:], off+int64(n))
		n += got
	}
	return n, err
}

func TestTheEndOfAHugeFileIsReadWithoutTheRest(t *testing.T) {
	const size = 10 << 30
	var served atomic.Int64
	_, target := startFake(t, map[string]*fakeFile{"/log": {mode: 0o644, size: size, read: func(p []byte, off int64) (int, error) {
		n := int(max(0, min(int64(len(p)), size-off)))
		for i := range n {
			p[i] = byte('a' + (off+int64(i))%26)
		}
		served.Add(int64(n))
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}}})
	s := streamOf(t, viewOf(t, target, targets.ViewOptions{}), "/log")
	if s.Size() != size {
		t.Errorf("its size is %d", s.Size())
	}
	tail := make([]byte, 4096)
	if n, err := (whole{s}).ReadAt(tail, size-4096); n != 4096 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	for i, b := range tail {
		if b != byte('a'+(size-4096+int64(i))%26) {
			t.Fatalf("byte %d is %q", i, b)
		}
	}
	if n, err := s.ReadAt(tail, size); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if n := served.Load(); n > 256<<10 {
		t.Errorf("%d KiB were moved for 4 KiB", n>>10)
	}
}

func TestLargeFilesAreReadAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "log")
	text := make([]byte, 5<<20+12345)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(text)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	target := connect(t, sshdtest.Start(t))
	v := viewOf(t, target, targets.ViewOptions{})
	s := streamOf(t, v, name)
	got, err := io.ReadAll(io.NewSectionReader(whole{s}, 0, s.Size()))
	if !bytes.Equal(got, text) || err != nil {
		t.Errorf("in order: %d bytes, %v", len(got), err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		off, n := r.Int64N(s.Size()), r.IntN(200_000)+1
		p := make([]byte, n)
		n, err := (whole{s}).ReadAt(p, off)
		want := text[off:min(off+int64(len(p)), int64(len(text)))]
		if !bytes.Equal(p[:n], want) || err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes from %d: %d, %v", len(p), off, n, err)
		}
	}
	// What is appended is seen, as through any descriptor.
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("one more line\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	p := make([]byte, 100)
	if n, err := s.ReadAt(p, int64(len(text))); string(p[:n]) != "one more line\n" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func TestManyLargeFilesAreOpenWithFewHandles(t *testing.T) {
	dir := t.TempDir()
	target := connect(t, sshdtest.Start(t))
	v := viewOf(t, target, targets.ViewOptions{})
	var streams []vfs.Stream
	for i := range maxHandles + 20 {
		name := filepath.Join(dir, strings.Repeat("x", i+1))
		if err := os.WriteFile(name, bytes.Repeat([]byte{byte(i)}, largeFile+1), 0o600); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, streamOf(t, v, name))
	}
	for round := range 2 {
		for i, s := range streams {
			p := make([]byte, 10)
			if n, err := s.ReadAt(p, int64(round*100_000)); n != 10 || err != nil || p[0] != byte(i) {
				t.Fatalf("file %d: %d, %v, %v", i, n, err, p)
			}
		}
	}
	if n := len(v.(*View).pieces.open); n > maxHandles {
		t.Errorf("%d handles", n)
	}
	for _, s := range streams {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := v.(*View).pieces.order.Len(); n != 0 {
		t.Errorf("%d pieces are held for closed files", n)
	}
}

func TestALargeFileOutlivesItsConnectionAndNoOther(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "log")
	text := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	server := sshdtest.Start(t)
	v := viewOf(t, connect(t, server), targets.ViewOptions{})
	s := streamOf(t, v, name)
	read := func(off int64) (string, error) {
		p := make([]byte, 16)
		n, err := s.ReadAt(p, off)
		return string(p[:n]), err
	}
	if got, err := read(0); got != "0123456789abcdef" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	server.Drop()
	if got, err := read(1_000_000); got != "0123456789abcdef" || err != nil {
		t.Errorf("after the connection broke: %q, %v", got, err)
	}
	server.Drop()
	if err := errors.Join(os.Rename(name, name+".1"), os.WriteFile(name, text[:len(text)/2], 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := read(1_500_000); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("after the log was rotated: %q, %v; want ESTALE", got, err)
	}
}
