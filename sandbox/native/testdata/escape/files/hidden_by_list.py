# tries: to find a hidden file's name in listings
# layer: a listing has what is shown
# prints: False []
# bare: True ['secret']
import glob
def names(d):
    try: return os.listdir(d)
    except OSError: return []
print("secret" in names(os.path.dirname(SECRET)), [os.path.basename(p) for p in glob.glob(os.path.dirname(SECRET) + "/sec*")])
