package vfs

// Stream is the content of a file that comes piece by piece, as somebody asks for it: too large, or too far away, to have
// at once. Several goroutines may call its methods.
type Stream interface {
	// ReadAt is io.ReaderAt's, but may give fewer bytes without an error.
	ReadAt(p []byte, off int64) (int, error)
	// Size is the file's size when it was opened, in bytes.
	Size() int64
	// Close drops what the stream holds.
	Close() error
}

// streaming is a source some of whose files are streams.
type streaming interface {
	// OpenStream is Source.Open, and returns a stream instead of a descriptor where the file is one.
	OpenStream(name string, flags int) (fd int, s Stream, err error)
}

// Streamed is a File that may be a stream.
type Streamed interface {
	File
	// Stream returns the file's content as a stream, nil where Descriptor has it. The file closes the stream. Descriptor
	// would have all of it at once, and fails where it is too large.
	Stream() Stream
}

// Live is a stream that is made anew each time that it is read from its beginning, as the kernel makes its files. Its size says
// nothing, and only reads that follow each other belong together.
type Live interface {
	Stream
	Live()
}

// LiveStream reports whether a stream is Live.
func LiveStream(s Stream) bool {
	_, ok := s.(Live)
	return ok
}
