package pypy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"shannot-gateway/internal/linux/durable"
)

// InstallOptions say what is installed, and from where.
type InstallOptions struct {
	Runtime string  // the directory that it is installed below
	Release Release // one of Releases
	// From are archives that were brought here. Where there are any, nothing is downloaded.
	From     []string
	Progress Progress
	Client   *http.Client // nil for one of its own, which follows no redirect away from HTTPS
	pause    time.Duration
}

// Install puts a release below the runtime directory, and returns its directory. Each archive's hash is checked before
// anything in it is looked at. An installation appears as a whole; one that is there already is left as it is.
func Install(ctx context.Context, o InstallOptions) (string, error) {
	dir := filepath.Join(o.Runtime, installedPrefix+o.Release.key())
	if err := os.MkdirAll(o.Runtime, 0o700); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(o.Runtime, ".pypy.lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("lock %s: %w", o.Runtime, err)
	}
	defer func() { _ = lock.Close() }()
	if _, err := os.Stat(filepath.Join(dir, executableFile)); err == nil {
		return dir, nil
	}
	archives, err := o.archives(ctx)
	if err != nil {
		return "", err
	}
	if err := assemble(o.Runtime, dir, archives); err != nil {
		return "", err
	}
	_ = os.RemoveAll(filepath.Join(o.Runtime, downloadsFolder))
	return dir, nil
}

// archives returns the names of the executable's and the library's archive, whose hashes are right.
func (o InstallOptions) archives(ctx context.Context) (names [2]string, err error) {
	wanted := [2]Archive{o.Release.Executable, o.Release.Library}
	if len(o.From) == 0 {
		if err := os.MkdirAll(filepath.Join(o.Runtime, downloadsFolder), 0o700); err != nil {
			return names, err
		}
		f := newFetcher(o.Client, o.Progress)
		if o.pause > 0 {
			f.pause = o.pause
		}
		for i, a := range wanted {
			if names[i], err = f.fetch(ctx, filepath.Join(o.Runtime, downloadsFolder), a); err != nil {
				return names, err
			}
		}
		return names, nil
	}
	for _, file := range o.From {
		known := false
		for i, a := range wanted {
			switch err := checkHash(file, a.SHA256); {
			case err == nil:
				names[i], known = file, true
			case !errors.Is(err, errHash):
				return names, err
			}
		}
		if !known {
			return names, fmt.Errorf("%s is neither the executable's archive nor the library's: %w", file, errHash)
		}
	}
	var missing []string
	for i, a := range wanted {
		if names[i] == "" {
			missing = append(missing, fmt.Sprintf("the %s (%s, SHA-256 %s)", a.Name, a.URL, a.SHA256))
		}
	}
	if len(missing) > 0 {
		return names, fmt.Errorf("name this archive with --from too: %s", strings.Join(missing, ", and "))
	}
	return names, nil
}

// assemble unpacks both archives into a directory beside the installation's, and gives it its name at the end.
func assemble(runtime, dir string, archives [2]string) error {
	temp, err := os.MkdirTemp(runtime, unpackingPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := os.Chmod(temp, 0o755); err != nil { // #nosec G302 -- the sandbox's user executes what is in it
		return err
	}
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for i, choose := range []chooser{executableParts, libraryParts} {
		if err := unpack(archives[i], root, choose); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(archives[i]), err)
		}
	}
	for _, name := range []string{executableFile, "lib-python/3", "lib_pypy"} {
		if _, err := root.Stat(name); err != nil {
			return fmt.Errorf("the archives hold no %s", name)
		}
	}
	if err := root.Chmod(executableFile, 0o755); err != nil {
		return err
	}
	return durable.RenameTree(temp, dir)
}
