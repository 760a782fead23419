package ssh

import "time"

// cache is what a view remembers of a target, and what tells how long that counts. The view's lock guards it, and whoever
// calls its methods holds that lock.
type cache struct {
	target   *Target
	attrs    map[string]*cachedAttrs
	listings map[string]*listing
	listed   int       // entries of them in sum
	asking   int       // questions of the script under way
	asked    time.Time // when the last one ended
	way      string    // what the script is asking for, while the view asks for the directories on the way to it
	setOff   time.Time // when it began to
	age      int       // how often everything was forgotten
}

func newCache(t *Target) cache {
	return cache{target: t, attrs: map[string]*cachedAttrs{}, listings: map[string]*listing{}}
}

// forget drops what was seen, and what is on its way.
func (c *cache) forget() {
	c.age++
	clear(c.attrs)
	c.forgetListings()
}

// forgetListings drops what was listed.
func (c *cache) forgetListings() {
	clear(c.listings)
	c.listed = 0
}
