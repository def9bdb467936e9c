import napari_semxai as sx
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene

image = make_scene(SceneSpec(label=3), seed=1).image  # a scratch, (480, 480) uint8
classifier = sx.load_classifier()  # or the path of your own
probabilities = classifier.predict(image)
name = classifier.class_names[probabilities.argmax()]
print(f"{name}: {probabilities.max():.0%}")
